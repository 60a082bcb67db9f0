#!/bin/sh
# Creates or updates the tables of Temporal. Safe to repeat: `setup-schema` keeps a newer version.
set -eu

for database in temporal temporal_visibility; do
  case $database in
    temporal) versions=temporal ;;
    temporal_visibility) versions=visibility ;;
  esac
  temporal-sql-tool --db "$database" setup-schema -v 0.0
  temporal-sql-tool --db "$database" update-schema \
    -d "/etc/temporal/schema/postgresql/v12/$versions/versioned"
done
