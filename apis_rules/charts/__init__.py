"""Chart files become checked state machines that plan. Pure: no I/O, clock, randomness or asyncio."""
