/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubeconfig: where the API server is, how it is known, and who we are.
 *
 * Either from a kubeconfig file (the current context, or a named one) or from
 * what a Pod finds in itself: a ServiceAccount's token and CA, and the address
 * in the environment.
 *
 * A login that needs another program to run (`exec`, `auth-provider`) is refused:
 * the agent holds privileges and starts nobody. Passwords are refused as well, API
 * servers do not take them any more.
 */
#ifndef SLUICE_KUBE_KUBECONFIG_H
#define SLUICE_KUBE_KUBECONFIG_H

#include "base/arena.h"
#include "base/err.h"

enum { KUBECONFIG_BYTES_MAX = 4 << 20 };

#define KUBECONFIG_IN_CLUSTER_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* Texts are NUL-terminated and live in the arena; NULL or absent where not said. */
struct kubeconfig {
	struct arena arena;
	const char *server;  /* "https://10.0.0.1:6443", no slash at the end */
	const char *ca_file; /* neither of the two: the system's */
	struct str ca_data;  /* PEM; wins over the file */
	const char *client_cert_file, *client_key_file;
	struct str client_cert_data, client_key_data; /* PEM; win over the files */
	struct str token;
	const char *token_file; /* read again and again; wins over token */
	const char *proxy_url;
	const char
		*tls_server_name; /* name that the certificate must have, instead of the host's */
	const char *namespace;    /* of the context, of the ServiceAccount; NULL: not said */
	bool is_insecure;         /* the server's certificate is not checked */
};

/*
 * Reads the file at @path. @context: NULL for current-context. 0 or -errno with a
 * text; release in each case.
 */
int kubeconfig_read(struct kubeconfig *config, const char *path, const char *context,
		    struct err *err);

/*
 * The ServiceAccount in directory @dir (KUBECONFIG_IN_CLUSTER_DIR) and the environment
 * KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT. As above; -ENOENT where this is
 * no Pod.
 */
int kubeconfig_in_cluster(struct kubeconfig *config, const char *dir, struct err *err);

/* Wipes keys and tokens. */
void kubeconfig_release(struct kubeconfig *config);

#endif
