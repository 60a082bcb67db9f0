#!/bin/sh
# Starts the sandbox with the public key that the job receipt-key has left, and with those that
# MCPBOX_SANDBOX_RECEIPT_KEYS names besides.
set -eu

public="$(cat /run/receipt-key/public)"
export MCPBOX_SANDBOX_RECEIPT_KEYS="$public${MCPBOX_SANDBOX_RECEIPT_KEYS:+,$MCPBOX_SANDBOX_RECEIPT_KEYS}"
exec mcpbox sandbox
