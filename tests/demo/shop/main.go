// Shop is the sample application: one page that says which commit it was built from, and keeps orders in its database.
//
// What the page shows comes from page.json of the same commit, so two commits never look alike. `shop migrate` brings the
// database that DATABASE_URL names to what this commit needs; without the variable there are no orders.
package main

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

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
  form { display: flex; gap: .5rem; margin: 2rem 0 0; }
  input { flex: 1; min-width: 0; }
  input, button { font: inherit; padding: .3rem .6rem; }
  li { overflow-wrap: anywhere; }
</style>
<main>
  <h1>{{.Page.Title}}</h1>
  <p>{{.Page.Text}}</p>
  {{with .Orders}}
  <form method="post" action="/orders">
    <input name="item" maxlength="200" required aria-label="What you order">
    <button>Order</button>
  </form>
  {{if .Problem}}<p role="alert">{{.Problem}}</p>{{end}}
  <ul>{{range .Items}}
    <li>{{.}}</li>{{end}}
  </ul>
  {{end}}
  <dl>
    <dt>commit</dt><dd>{{.HeadSHA}}</dd>
    <dt>host</dt><dd>{{.Host}}</dd>
    {{with .Orders}}<dt>database</dt><dd>{{.Database}}</dd>{{end}}
  </dl>
</main>
</html>
`))

func main() {
	terminated, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	database, err := openDatabase()
	if err != nil {
		// The address has a password in it, which the error may repeat.
		log.Fatal("DATABASE_URL is no address of a database")
	}
	if len(os.Args) == 1 {
		serve(terminated, database)
		return
	}
	if os.Args[1] != "migrate" || database == nil {
		log.Fatal("usage: shop [migrate], with DATABASE_URL in the environment to migrate")
	}
	if err := migrate(terminated, database); err != nil {
		log.Fatal(err)
	}
}

func serve(terminated context.Context, database *sql.DB) {
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
		if database != nil {
			found, err := listOrders(request.Context(), database)
			if err != nil {
				log.Printf("orders: %v", err)
				found.Problem = "The orders cannot be read now."
			}
			shown["Orders"] = found
		}
		if err := layout.Execute(answer, shown); err != nil {
			log.Printf("%s: %v", request.Host, err)
		}
	})
	if database != nil {
		routes.HandleFunc("POST /orders", func(answer http.ResponseWriter, request *http.Request) {
			request.Body = http.MaxBytesReader(answer, request.Body, 4096)
			if err := addOrder(request.Context(), database, request.FormValue("item")); err != nil {
				log.Printf("an order: %v", err)
				http.Error(answer, "The order was not taken.", http.StatusServiceUnavailable)
				return
			}
			http.Redirect(answer, request, "/", http.StatusSeeOther)
		})
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	server := &http.Server{Addr: ":" + port, Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		log.Printf("commit %s listens on port %s", headSHA, port)
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
