"""From the command line and YAML files to a configuration that states every value."""
