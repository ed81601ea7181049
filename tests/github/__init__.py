"""A stand-in GitHub over HTTP (`standin.StandInGitHub`), held to GitHub's own published descriptions. See README.md."""
