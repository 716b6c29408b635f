"""What is predicted: the three tasks and their classes, in the order of every array."""

EMOTIONS = ("anger", "disgust", "fear", "happy", "neutral", "sad")
GENDERS = ("female", "male")
TASKS = ("emotion", "gender", "age")
