"""Adapters for other libraries, one file for each; a program imports the one it needs.

pydantic needs none: it takes a CronExpression as it is, see text/pydantic_schema.py.
"""
