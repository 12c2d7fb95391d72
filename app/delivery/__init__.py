"""The engine: takes what is due, sends it, and records what came of it."""
