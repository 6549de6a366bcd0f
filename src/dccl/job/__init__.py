"""The main job: from a log to a report, with configuration, stages and resume."""
