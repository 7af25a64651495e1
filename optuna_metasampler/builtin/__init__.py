"""What is known of common learners without any study of the user's."""
