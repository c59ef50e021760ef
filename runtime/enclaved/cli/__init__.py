"""The command line: what people run, see and type; every rule lies in a floor below."""
