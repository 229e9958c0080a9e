"""The device emulator's HTTP side: the interfaces of three drivers, faults, and the live page."""
