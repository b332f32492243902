"""`make demo`: five changes of a small application on their way to production, in front of your eyes."""
