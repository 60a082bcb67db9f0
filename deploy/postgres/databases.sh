#!/bin/sh
# Runs once, on an empty volume: roles and databases for MCPbox, and others for Temporal, so that
# neither can read what the other keeps. Of the two roles of MCPbox one owns the tables, and the
# other, which the processes use, cannot change the audit log.
set -eu

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv mcpbox_password MCPBOX_POSTGRES_PASSWORD
\getenv mcpbox_app_password MCPBOX_POSTGRES_APP_PASSWORD
\getenv temporal_password TEMPORAL_POSTGRES_PASSWORD
CREATE ROLE mcpbox LOGIN PASSWORD :'mcpbox_password';
CREATE ROLE mcpbox_app LOGIN PASSWORD :'mcpbox_app_password';
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE mcpbox OWNER mcpbox;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT ON DATABASE mcpbox, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE mcpbox TO mcpbox_app;
SQL
