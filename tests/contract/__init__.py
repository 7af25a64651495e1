"""What Optuna, its users and the rest of their process may rely on."""
