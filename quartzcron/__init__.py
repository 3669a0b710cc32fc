"""Quartz cron expressions and their fire times."""
