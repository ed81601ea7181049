// Shop is the sample application: one page that says which commit it was built from.
//
// What the page shows comes from page.json of the same commit, so two commits never look alike.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"
)

const address = ":8080"

// Set by the build: -ldflags "-X main.headSHA=..."
var headSHA = "unknown"

//go:embed page.json
var pageFile []byte

type page struct {
	Title  string `json:"title"`
	Text   string `json:"text"`
	Colour string `json:"colour"`
}

var layout = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="head-sha" content="{{.HeadSHA}}">
<title>{{.Page.Title}}</title>
<style>
  body { margin: 0; min-height: 100vh; display: grid; place-items: center;
         font: 1.1rem/1.6 system-ui, sans-serif; color: #1e293b; background: {{.Page.Colour}}; }
  main { margin: 1rem; padding: 2.5rem 3rem; max-width: 34rem; border-radius: 1rem;
         background: #fff; box-shadow: 0 1rem 3rem #0004; }
  h1 { margin: 0 0 .5rem; line-height: 1.2; color: {{.Page.Colour}}; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1rem; margin: 2rem 0 0;
       padding-top: 1rem; border-top: 1px solid #e2e8f0; font-size: .85rem; }
  dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
</style>
<main>
  <h1>{{.Page.Title}}</h1>
  <p>{{.Page.Text}}</p>
  <dl>
    <dt>commit</dt><dd>{{.HeadSHA}}</dd>
    <dt>host</dt><dd>{{.Host}}</dd>
  </dl>
</main>
</html>
`))

func main() {
	var content page
	if err := json.Unmarshal(pageFile, &content); err != nil {
		log.Fatalf("page.json: %v", err)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /healthz", func(answer http.ResponseWriter, _ *http.Request) {
		answer.WriteHeader(http.StatusNoContent)
	})
	routes.HandleFunc("GET /{$}", func(answer http.ResponseWriter, request *http.Request) {
		answer.Header().Set("Content-Type", "text/html; charset=utf-8")
		answer.Header().Set("Cache-Control", "no-store")
		shown := map[string]any{"Page": content, "HeadSHA": headSHA, "Host": request.Host}
		if err := layout.Execute(answer, shown); err != nil {
			log.Printf("%s: %v", request.Host, err)
		}
	})
	server := &http.Server{Addr: address, Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	terminated, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	go func() {
		log.Printf("commit %s listens on %s", headSHA, address)
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-terminated.Done()
	// What was asked already is still answered; without such requests this takes no time.
	soon, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(soon); err != nil {
		log.Printf("stopped with requests open: %v", err)
	}
}
