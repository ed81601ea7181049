"""What the manager shows over HTTP. It is handed functions and knows neither adapters nor the reconcile loop."""
