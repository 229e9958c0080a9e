"""The live page of the emulator: one file, nothing from the network."""
