package main

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log"
	"os"
	"time"

	_ "github.com/lib/pq"
)

const patience = 10 * time.Second

// Any number will do: whoever holds this lock migrates, and everybody else waits.
const migrationLock = 7301

//go:embed migrations/*.sql
var migrations embed.FS

// openDatabase gives nil when there is no database: the shop has a page without one as well.
func openDatabase() (*sql.DB, error) {
	address := os.Getenv("DATABASE_URL")
	if address == "" {
		return nil, nil
	}
	database, err := sql.Open("postgres", address)
	if err != nil {
		return nil, err
	}
	database.SetMaxOpenConns(4)
	database.SetConnMaxIdleTime(time.Minute)
	return database, nil
}

type orders struct {
	Database string
	Items    []string
	// Problem is shown instead of the items. What it is exactly stands in the log.
	Problem string
}

func listOrders(ctx context.Context, database *sql.DB) (orders, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var found orders
	if err := database.QueryRowContext(ctx, "SELECT current_database()").Scan(&found.Database); err != nil {
		return found, err
	}
	rows, err := database.QueryContext(ctx, "SELECT item FROM orders ORDER BY id DESC LIMIT 20")
	if err != nil {
		return found, err
	}
	defer rows.Close()
	for rows.Next() {
		var item string
		if err := rows.Scan(&item); err != nil {
			return found, err
		}
		found.Items = append(found.Items, item)
	}
	return found, rows.Err()
}

func addOrder(ctx context.Context, database *sql.DB, item string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := database.ExecContext(ctx, "INSERT INTO orders (item) VALUES ($1)", item)
	return err
}

// migrate runs what has not run in this database, each file in a transaction of its own.
func migrate(ctx context.Context, database *sql.DB) error {
	connection, err := database.Conn(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	prepare := fmt.Sprintf("SELECT pg_advisory_lock(%d)", migrationLock)
	if _, err := connection.ExecContext(ctx, prepare); err != nil {
		return err
	}
	const table = `CREATE TABLE IF NOT EXISTS migrations
		(name text PRIMARY KEY, ran_at timestamptz NOT NULL DEFAULT now())`
	if _, err := connection.ExecContext(ctx, table); err != nil {
		return err
	}
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := migrateOnce(ctx, connection, file.Name()); err != nil {
			return fmt.Errorf("%s: %w", file.Name(), err)
		}
	}
	return nil
}

func migrateOnce(ctx context.Context, connection *sql.Conn, name string) error {
	text, err := migrations.ReadFile("migrations/" + name)
	if err != nil {
		return err
	}
	transaction, err := connection.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer transaction.Rollback()
	const note = "INSERT INTO migrations (name) VALUES ($1) ON CONFLICT DO NOTHING"
	noted, err := transaction.ExecContext(ctx, note, name)
	if err != nil {
		return err
	}
	if count, err := noted.RowsAffected(); err != nil || count == 0 {
		log.Printf("%s ran before", name)
		return err
	}
	if _, err := transaction.ExecContext(ctx, string(text)); err != nil {
		return err
	}
	if err := transaction.Commit(); err != nil {
		return err
	}
	log.Printf("%s has run", name)
	return nil
}
