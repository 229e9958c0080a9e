"""Facts, condition tree, compiler, engine, decisions, explanations. Pure: no I/O, clock, randomness or asyncio."""
