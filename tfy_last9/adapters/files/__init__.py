"""YAML files (scenarios, OpenSLO) to the model, with the place of every fault."""
