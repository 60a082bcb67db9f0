#!/bin/sh
# Runs once, on an empty volume: a role and databases for MCPbox, and others for Temporal,
# so that neither can read what the other keeps.
set -eu

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv mcpbox_password MCPBOX_POSTGRES_PASSWORD
\getenv temporal_password TEMPORAL_POSTGRES_PASSWORD
CREATE ROLE mcpbox LOGIN PASSWORD :'mcpbox_password';
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE mcpbox OWNER mcpbox;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT ON DATABASE mcpbox, temporal, temporal_visibility FROM PUBLIC;
SQL
