-- Prepares a PostgreSQL server (15 or newer) for one instance of previews. Run it once with psql, as an administrator:
--
--     psql -h db.example -U postgres -v instance=previews_acme -v login=previews_manager -f prepare.sql
--     psql -h db.example -U postgres -c '\password previews_manager'
--
-- `instance` is "previews_" and the instance's name with "_" for "-": the role that owns every database of it. `login`
-- is whom the manager logs in as. It is no superuser. Running this again is safe.

\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I NOLOGIN', :'instance')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'instance')
\gexec
SELECT format('CREATE ROLE %I LOGIN', :'login')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login')
\gexec
ALTER ROLE :"login" CREATEDB CREATEROLE;
GRANT :"instance" TO :"login";
-- To end the sessions of a preview that is removed.
GRANT pg_signal_backend TO :"login";

-- Everybody may connect to every database unless told otherwise. What keeps previews apart is CONNECT, so the databases
-- that come with the server are closed. Close your own in the same way, or list them under `open_databases`.
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres TO :"login";
