// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/certlink/certlink/test/nations/internal/layout"
	"github.com/certlink/certlink/test/nations/internal/pki"
)

const (
	// postgresDir has everything of the database server, inside the nation. /run is memory there: it goes away with the
	// nation, and with it the server, which is a process of the nation like any other.
	postgresDir = "/run/postgres"
	// postgresName is the database, and the role that owns it.
	postgresName = "relay"
)

// Postgres is a PostgreSQL server on the node of a nation, as a database host beside the cluster would be: pods of the
// nation reach it under a name, over TLS, with a password.
type Postgres struct {
	// Programs is the directory of the server's programs.
	Programs string

	nation   *Nation
	password string
	uid, gid int
}

// StartPostgres installs PostgreSQL on the machine if it is missing (Debian), and starts a server with an empty database.
// One that runs in the nation already is stopped first, and its data are lost. What kill -9 of its processes leaves
// behind is kept: the data are in memory, which the nation has until it ends.
func (n *Nation) StartPostgres(ctx context.Context) (*Postgres, error) {
	pid, err := n.init()
	if err != nil {
		return nil, err
	}
	p := &Postgres{nation: n, password: rand.Text()}
	if p.Programs, err = postgresPrograms(ctx); err != nil {
		return nil, err
	}
	if p.uid, p.gid, err = unprivileged(); err != nil {
		return nil, err
	}
	if err := p.Stop(ctx); err != nil {
		return nil, err
	}
	if err := p.start(ctx, fmt.Sprintf("/proc/%d/root%s", pid, postgresDir)); err != nil {
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx))) // nobody else could
	}
	return p, nil
}

// start makes the database in the server's directory, seen from outside, and starts the server.
func (p *Postgres) start(ctx context.Context, dir string) error {
	if err := p.files(dir); err != nil {
		return err
	}
	for _, step := range [][]string{
		{"initdb", "--no-sync", "--encoding=UTF8", "--locale=C", "--username=postgres", "--auth=trust", p.data()},
		{"sh", "-c", `cat "$1/settings" >> "$1/data/postgresql.conf" && cp "$1/rules" "$1/data/pg_hba.conf"`, "sh", postgresDir},
		p.control("start"),
	} {
		if _, err := p.run(ctx, step...); err != nil {
			return fmt.Errorf("starting PostgreSQL in %s: %w", p.nation.Name, err)
		}
	}
	for _, statement := range []string{
		"CREATE ROLE " + postgresName + " LOGIN PASSWORD '" + p.password + "'",
		"CREATE DATABASE " + postgresName + " OWNER " + postgresName,
	} {
		if _, err := p.query(ctx, "postgres", statement); err != nil {
			return err
		}
	}
	return nil
}

// URI leads a pod of the nation to the database: TLS, the server's name checked against the CA in a file of the pod.
func (p *Postgres) URI(ca string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(postgresName, p.password), Host: p.host() + ":5432", Path: "/" + postgresName,
		RawQuery: url.Values{"sslmode": {"verify-full"}, "sslrootcert": {ca}}.Encode(),
	}
	return u.String()
}

// CA is the authority that issued the server's certificate, as PEM.
func (p *Postgres) CA() ([]byte, error) { return os.ReadFile(p.nation.dirs.PKI("ca.crt")) }

// Query runs a statement in the database and returns its rows, a line each, fields separated by bars.
func (p *Postgres) Query(ctx context.Context, statement string) (string, error) {
	return p.query(ctx, postgresName, statement)
}

func (p *Postgres) query(ctx context.Context, database, statement string) (string, error) {
	said, err := p.run(ctx, "psql", "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", postgresDir, "-U", "postgres", "-d", database, "-c", statement)
	if err != nil {
		return "", fmt.Errorf("asking PostgreSQL in %s: %w", p.nation.Name, err)
	}
	return strings.TrimSpace(said), nil
}

// Log is the end of what the server has said.
func (p *Postgres) Log(ctx context.Context) (string, error) {
	return p.run(ctx, "tail", "-n", "40", postgresDir+"/log")
}

// Stop ends the server at once and removes its data. It does nothing if there is none.
func (p *Postgres) Stop(ctx context.Context) error {
	if _, err := p.run(ctx, p.control("status")...); err == nil {
		if _, err := p.run(ctx, append(p.control("stop"), "-m", "immediate")...); err != nil {
			return fmt.Errorf("stopping PostgreSQL in %s: %w", p.nation.Name, err)
		}
	}
	if _, err := p.nation.Exec(ctx, "rm", "-rf", postgresDir); err != nil {
		return fmt.Errorf("removing PostgreSQL's data in %s: %w", p.nation.Name, err)
	}
	return nil
}

func (p *Postgres) host() string { return "node." + p.nation.Domain() }

func (p *Postgres) data() string { return postgresDir + "/data" }

func (p *Postgres) control(what string) []string {
	return []string{"pg_ctl", "-D", p.data(), "-w", "-t", "30", "-l", postgresDir + "/log", what}
}

// run runs one of the server's programs, or another, on the node as the server's user.
func (p *Postgres) run(ctx context.Context, argv ...string) (string, error) {
	if program := filepath.Join(p.Programs, argv[0]); !strings.Contains(argv[0], "/") && exists(program) {
		argv = append([]string{program}, argv[1:]...)
	}
	as := []string{"setpriv", "--reuid", strconv.Itoa(p.uid), "--regid", strconv.Itoa(p.gid), "--clear-groups", "--"}
	command, err := p.nation.Command(ctx, append(as, argv...)...)
	if err != nil {
		return "", err
	}
	command.Dir = "/" // one that this user may enter
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("running %s in %s: %w: %s", argv[0], p.nation.Name, err, out)
	}
	return string(out), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// files makes the server's directory, seen from outside, with what it reads when it starts.
func (p *Postgres) files(dir string) error {
	n := p.nation
	if err := pki.Serve(n.place, n.dirs, "postgres", p.host()); err != nil {
		return err
	}
	key, err := os.ReadFile(n.dirs.PKI("postgres.key"))
	if err != nil {
		return fmt.Errorf("reading PostgreSQL's key in %s: %w", n.Name, err)
	}
	cert, err := os.ReadFile(n.dirs.PKI("postgres.crt"))
	if err != nil {
		return fmt.Errorf("reading PostgreSQL's certificate in %s: %w", n.Name, err)
	}
	all := map[string][]byte{"tls.key": key, "tls.crt": cert, "settings": []byte(settings(n.place)), "rules": []byte(rules)}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("making PostgreSQL's directory in %s: %w", n.Name, err)
	}
	for name, content := range all {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chown(path, p.uid, p.gid)); err != nil {
			return fmt.Errorf("writing PostgreSQL's files in %s: %w", n.Name, err)
		}
	}
	return os.Chown(dir, p.uid, p.gid)
}

// settings of the server. It listens on the node alone; what its processes share lies in its data.
func settings(place layout.Nation) string {
	return fmt.Sprintf(`
listen_addresses = '%s'
unix_socket_directories = '%s'
ssl = on
ssl_cert_file = '%[2]s/tls.crt'
ssl_key_file = '%[2]s/tls.key'
password_encryption = 'scram-sha-256'
fsync = on
synchronous_commit = on
max_connections = 60
shared_buffers = 32MB
min_wal_size = 32MB
max_wal_size = 128MB
dynamic_shared_memory_type = mmap
`, place.Node(), postgresDir)
}

// rules say who may enter: the relay over TLS with its password; this harness through the socket in a directory that
// only the server's user and root can enter.
const rules = `local all all trust
hostssl ` + postgresName + " " + postgresName + ` all scram-sha-256
`

// postgresPrograms finds the newest server of the machine, after installing one if there is none.
func postgresPrograms(ctx context.Context) (string, error) {
	root, err := layout.Repository()
	if err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, filepath.Join(root, "hack", "postgres.sh")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing PostgreSQL: %w: %s", err, out)
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		release := func(path string) int {
			number, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
			if err != nil {
				return 0
			}
			return number
		}
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return release(a) - release(b) })), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", fmt.Errorf("finding PostgreSQL's programs: %w", err)
	}
	return filepath.Dir(path), nil
}

// unprivileged is whom the server runs as: it refuses root.
func unprivileged() (uid, gid int, err error) {
	var u *user.User
	for _, name := range []string{"postgres", "nobody"} {
		if u, err = user.Lookup(name); err == nil {
			break
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("finding a user to run PostgreSQL as: %w", err)
	}
	if uid, err = strconv.Atoi(u.Uid); err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	return uid, gid, err
}
