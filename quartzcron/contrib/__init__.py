"""Adapters for other libraries, one file for each; a program imports the one it needs.

pydantic needs none, because CronExpression supports it itself, see text/pydantic_schema.py.
"""
