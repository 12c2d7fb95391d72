"""The wire's shapes as models: contract, checks and document in one."""
