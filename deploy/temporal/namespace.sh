#!/bin/sh
# Creates the namespace and waits until it can be used. Safe to repeat.
# The worker adds the search attributes that requests are listed by.
set -eu

namespace=${TEMPORAL_NAMESPACE:-default}

temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$namespace" --retention 90d

# The frontend learns of a new namespace with a delay.
attempts=0
until temporal workflow count --namespace "$namespace" >/dev/null; do
  attempts=$((attempts + 1))
  if [ "$attempts" -ge 30 ]; then
    echo "The namespace $namespace does not answer." >&2
    exit 1
  fi
  sleep 1
done
