// SPDX-License-Identifier: Apache-2.0
/*
 * kubeconfig: see kubeconfig.h.
 *
 * The file is YAML (or JSON) with lists of named clusters, users and contexts.
 * Paths in it are relative to the file. No text of an error repeats a value that
 * may be a secret.
 */
#include "kube/kubeconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "kube/node_reader.h"
#include "kube/say.h"

enum { PATH_BYTES = 4096 };

/* --------------------------------------------------------------------- files */

/* The whole file into @arena. */
static int read_file(struct arena *arena, const char *path, struct str *text, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	size_t len = 0;
	ssize_t got;
	char *at;

	if (fd < 0)
		return err_set_os(err, -errno, "cannot open '%s'", path);
	if (fstat(fd, &stat) < 0 || stat.st_size > KUBECONFIG_BYTES_MAX) {
		close(fd);
		return err_set(err, -EFBIG, "'%s' is too large", path);
	}
	at = arena_new(arena, KUBECONFIG_BYTES_MAX / 64 + (size_t)stat.st_size, 1);
	while ((got = read(fd, at + len, KUBECONFIG_BYTES_MAX / 64 + (size_t)stat.st_size - len)) >
	       0)
		len += (size_t)got; /* positive */
	close(fd);
	if (got < 0)
		return err_set_os(err, -errno, "cannot read '%s'", path);
	*text = str_of(at, len);
	return 0;
}

/* -------------------------------------------------------------------- base64 */

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* RFC 4648 section 4; white space and padding are skipped. -EINVAL where it is none. */
static int decode_base64(struct arena *arena, struct str text, struct str *bytes)
{
	char *out = arena_new(arena, text.len / 4 * 3 + 4, 1);
	uint32_t bits = 0;
	size_t digits = 0, len = 0;

	for (size_t i = 0; i < text.len; i++) {
		int digit = base64_digit(text.at[i]);

		if (memchr(" \t\r\n=", text.at[i], 5))
			continue;
		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		if (++digits % 4 != 1)
			out[len++] = (char)(bits >> (6 - 2 * ((digits - 1) % 4)));
	}
	*bytes = str_of(out, len);
	return digits % 4 == 1 ? -EINVAL : 0;
}

/* -------------------------------------------------------------------- reading */

struct reading {
	struct kubeconfig *config;
	const char *directory; /* of the file */
	struct err *err;
};

/* NULL where there is no such text, or an empty one. */
static const char *text_of(struct reading *reading, const struct node *map, const char *name)
{
	const struct node *node = node_find(map, name);

	if (!node || node->type == NODE_NULL || node->type == NODE_MAP ||
	    node->type == NODE_SEQUENCE || node->text.len == 0)
		return NULL;
	return arena_copy(&reading->config->arena, node->text).at;
}

static const char *path_of(struct reading *reading, const struct node *map, const char *name)
{
	const char *path = text_of(reading, map, name);

	if (!path || path[0] == '/')
		return path;
	return arena_printf(&reading->config->arena, "%s/%s", reading->directory, path).at;
}

static int data_of(struct reading *reading, const struct node *map, const char *name,
		   struct str *data)
{
	const struct node *node = node_find(map, name);

	*data = str_of(NULL, 0);
	if (!node || node->type != NODE_TEXT || node->text.len == 0)
		return 0;
	if (decode_base64(&reading->config->arena, node->text, data) < 0)
		return err_set(reading->err, -EINVAL, "'%s' in line %u is not base64", name,
			       node->line);
	return 0;
}

static bool is_true(const struct node *map, const char *name)
{
	const struct node *node = node_find(map, name);

	return node && node->type == NODE_BOOL && node->number;
}

/* The map @member of the item called @name in the list @list of the file. */
static const struct node *find_named(const struct node *root, const char *list, const char *name,
				     const char *member)
{
	const struct node *items = node_find(root, list);

	if (!items || items->type != NODE_SEQUENCE)
		return NULL;
	for (uint32_t i = 0; i < items->count; i++) {
		const struct node *item = &items->children[i].value;
		const struct node *found = node_find(item, "name");

		if (found && found->type <= NODE_TEXT && str_eq_c(found->text, name))
			return node_find(item, member);
	}
	return NULL;
}

static int read_cluster(struct reading *reading, const struct node *cluster)
{
	struct kubeconfig *config = reading->config;
	const char *server = text_of(reading, cluster, "server");
	struct str url = str_from_c(server);

	if (!server)
		return err_set(reading->err, -EINVAL, "cluster without 'server'");
	if (!str_starts_with(url, STR("https://")) && !str_starts_with(url, STR("http://")))
		return err_set(reading->err, -EINVAL, "server '%s' is no http or https URL",
			       server);
	while (url.len && url.at[url.len - 1] == '/')
		url.len--;
	config->server = arena_copy(&config->arena, url).at;
	config->ca_file = path_of(reading, cluster, "certificate-authority");
	config->proxy_url = text_of(reading, cluster, "proxy-url");
	config->tls_server_name = text_of(reading, cluster, "tls-server-name");
	config->is_insecure = is_true(cluster, "insecure-skip-tls-verify");
	return data_of(reading, cluster, "certificate-authority-data", &config->ca_data);
}

static int refuse_login(struct reading *reading, const struct node *user)
{
	static const struct {
		const char *field, *text;
	} refused[] = {
		{ "exec", "log in by running a program ('exec') is not done; use a token, a "
			  "token file or a client certificate" },
		{ "auth-provider", "log in by an 'auth-provider' is not done; use a token, a "
				   "token file or a client certificate" },
		{ "username", "log in with name and password is not done, API servers refuse it" },
		{ "as", "impersonation ('as') is not done" },
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const struct node *node = node_find(user, refused[i].field);

		if (node && node->type != NODE_NULL)
			return err_set(reading->err, -EOPNOTSUPP, "line %u: %s", node->line,
				       refused[i].text);
	}
	return 0;
}

static int read_user(struct reading *reading, const struct node *user)
{
	struct kubeconfig *config = reading->config;
	int rc = refuse_login(reading, user);

	if (rc < 0)
		return rc;
	config->client_cert_file = path_of(reading, user, "client-certificate");
	config->client_key_file = path_of(reading, user, "client-key");
	config->token_file = path_of(reading, user, "tokenFile");
	config->token = str_from_c(text_of(reading, user, "token"));
	rc = data_of(reading, user, "client-certificate-data", &config->client_cert_data);
	return rc < 0 ? rc : data_of(reading, user, "client-key-data", &config->client_key_data);
}

static int read_context(struct reading *reading, const struct node *root, const char *name)
{
	const struct node *context, *cluster, *user;
	const char *cluster_name, *user_name;
	int rc;

	if (!name)
		name = text_of(reading, root, "current-context");
	if (!name)
		return err_set(reading->err, -EINVAL, "no 'current-context'");
	context = find_named(root, "contexts", name, "context");
	if (!context)
		return err_set(reading->err, -ENOENT, "there is no context '%s'", name);
	reading->config->namespace = text_of(reading, context, "namespace");
	cluster_name = text_of(reading, context, "cluster");
	cluster = cluster_name ? find_named(root, "clusters", cluster_name, "cluster") : NULL;
	if (!cluster)
		return err_set(reading->err, -ENOENT, "there is no cluster '%s'",
			       cluster_name ? cluster_name : "");
	rc = read_cluster(reading, cluster);
	user_name = text_of(reading, context, "user");
	if (rc < 0 || !user_name)
		return rc;
	user = find_named(root, "users", user_name, "user");
	if (!user)
		return err_set(reading->err, -ENOENT, "there is no user '%s'", user_name);
	return read_user(reading, user);
}

int kubeconfig_read(struct kubeconfig *config, const char *path, const char *context,
		    struct err *err)
{
	struct reading reading = { .config = config, .err = err };
	struct node_document document;
	struct node_reader reader;
	struct str text;
	int rc;

	*config = (struct kubeconfig){ 0 };
	arena_init(&config->arena, 0);
	rc = read_file(&config->arena, path, &text, err);
	if (rc < 0)
		return rc;
	reading.directory = dirname((char *)arena_copy(&config->arena, str_from_c(path)).at);
	node_reader_init(&reader, text, node_format_of(str_from_c(path), text));
	if (!node_reader_next(&reader, &document))
		rc = err_set(err, -EINVAL, "it is empty");
	else if (document.state != NODE_STATE_SOUND)
		rc = err_set(err, -EINVAL, "line %u: %.*s", document.flaw_line,
			     STR_ARG(document.flaw));
	else
		rc = read_context(&reading, &document.root, context);
	node_reader_release(&reader);
	if (rc < 0)
		err_prefix(err, "kubeconfig '%s'", path);
	return rc;
}

/* ---------------------------------------------------------------- in a cluster */

int kubeconfig_in_cluster(struct kubeconfig *config, const char *dir, struct err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	struct arena *arena = &config->arena;
	struct str namespace;
	const char *path;

	*config = (struct kubeconfig){ 0 };
	arena_init(arena, 0);
	if (!host || !port || !host[0] || !port[0])
		return err_set(err, -ENOENT,
			       "this is no Pod: KUBERNETES_SERVICE_HOST and _PORT are not set");
	/* RFC 3986 3.2.2: an IPv6 address stands in brackets */
	config->server =
		arena_printf(arena, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
			     port)
			.at;
	config->ca_file = arena_printf(arena, "%s/ca.crt", dir).at;
	config->token_file = arena_printf(arena, "%s/token", dir).at;
	if (access(config->token_file, R_OK) < 0)
		return err_set_os(err, -errno, "cannot read '%s'", config->token_file);
	path = arena_printf(arena, "%s/namespace", dir).at;
	if (read_file(arena, path, &namespace, NULL) == 0)
		config->namespace = arena_copy(arena, str_trim(namespace)).at;
	return 0;
}

void kubeconfig_release(struct kubeconfig *config)
{
	struct str secrets[] = { config->client_key_data, config->token };

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		if (secrets[i].len)
			explicit_bzero((char *)secrets[i].at, secrets[i].len); /* in our arena */
	}
	arena_release(&config->arena);
	*config = (struct kubeconfig){ 0 };
}
