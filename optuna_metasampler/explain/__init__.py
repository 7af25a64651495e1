"""What a study's model and its trials have to say, as numbers: nothing is drawn or told here."""
