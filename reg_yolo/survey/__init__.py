"""From a card's folder to a package: preflight, prediction, inventory, package. See docs/survey.md."""
