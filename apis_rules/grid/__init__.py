"""A modelled DC grid to run against, and the device emulator that serves it."""
