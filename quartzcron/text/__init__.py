"""An expression in English, in Chinese and in JSON, and the schema for pydantic."""
