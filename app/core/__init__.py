"""Pure values and rules: values in, values out. No database, network, clock, configuration or chance."""
