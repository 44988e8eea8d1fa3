/* SPDX-License-Identifier: Apache-2.0 */
/*
 * class_rules: which IngressClasses and which Ingresses are ours (SEMANTICS 1.4).
 *
 *   spec.ingressClassName, else the annotation kubernetes.io/ingress.class:
 *       an IngressClass of that name    ours where its controller is ours, or where it is taken
 * over no such object                  ours where the name is that of --ingress-class, or of
 *                                       --take-over-class
 *   neither                             ours where a default class is ours, or where Ingresses
 *                                       without class are watched
 *
 * A class can be taken over from ingress-nginx alone, the controller whose annotations are
 * understood; one of anybody else stays theirs, whatever --take-over-class says.
 *
 * The one place that knows: what is compiled, whose Secrets are read and whose status is written
 * all follow from it.
 */
#ifndef SLUICE_COMPILE_CLASS_RULES_H
#define SLUICE_COMPILE_CLASS_RULES_H

#include "model/object.h"

#define CLASS_RULES_NAME_DEFAULT         "sluice"
#define CLASS_RULES_CONTROLLER           "sluice.dev/ingress-controller"
#define CLASS_RULES_TAKE_OVER_CONTROLLER "k8s.io/ingress-nginx"

/* What the command line says. Absent texts: nothing was said. */
struct class_rules {
	struct str name;      /* --ingress-class; absent: CLASS_RULES_NAME_DEFAULT */
	struct str take_over; /* --take-over-class */
	struct str namespace; /* --watch-namespace: Ingresses of this one only */
	bool watch_nameless;  /* --watch-ingress-without-class */
};

/* What an Ingress belongs to. */
enum class_rules_owner {
	CLASS_RULES_OTHERS,
	CLASS_RULES_OURS,
	CLASS_RULES_TAKEN_OVER, /* ours, and it came with the habits of ingress-nginx */
};

/* Whose is this IngressClass? */
enum class_rules_owner class_rules_of_class(const struct class_rules *rules,
					    const struct object *class);

/*
 * What the name of a class stands for, and what an Ingress gets that names none. *@class is then
 * the IngressClass; NULL where others own it or there is no such object. Of several default classes
 * the newest counts.
 */
enum class_rules_owner class_rules_of_name(const struct class_rules *rules,
					   const struct object_set *set, struct str name,
					   const struct object **class);
enum class_rules_owner class_rules_of_nameless(const struct class_rules *rules,
					       const struct object_set *set,
					       const struct object **class);

/* The name of the class that @ingress gives in either way; empty: none. */
struct str class_rules_name_in(const struct object *ingress);

/* Whether @ingress is ours. */
bool class_rules_have(const struct class_rules *rules, const struct object_set *set,
		      const struct object *ingress);

#endif
