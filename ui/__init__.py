"""The panel: where people see what LLMs ask for, and decide. Reaches data only over REST."""
