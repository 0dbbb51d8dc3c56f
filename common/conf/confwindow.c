/* SPDX-License-Identifier: ISC */
/*
 * The windows and freezes of one stage, from the texts that stand in its section.
 */
#include <string.h>

#include "common/conf/confparse.h"
#include "common/xalloc.h"

static struct windows *
windows_new(size_t nwindows, size_t nfreezes)
{
	struct windows *windows = xcalloc(1, sizeof(*windows));

	windows->windows = xcalloc(nwindows + 1, sizeof(*windows->windows));
	windows->freezes = xcalloc(nfreezes + 1, sizeof(*windows->freezes));
	return windows;
}

void
conf_windows_free(struct windows *windows)
{
	if (!windows)
		return;
	free(windows->windows);
	free(windows->freezes);
	free(windows);
}

static void
read_zone(struct conf_parse *parse, struct conf_source *source, const struct conf_node *node,
	  const struct conf_stage *stage, struct windows *windows)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (!stage->zone) {
		if (when_zone_local(windows->zone, &err) < 0)
			conf_report(parse, source, node->line,
				    "stage \"%s\" has windows or freezes, and this machine has no "
				    "zone that is known: write zone = \"Europe/Berlin\"",
				    stage->name);
		return;
	}
	if (when_zone_valid(stage->zone))
		(void)snprintf(windows->zone, sizeof(windows->zone), "%s", stage->zone);
	else
		conf_report(parse, source, conf_node_line(node, "zone"),
			    "zone = \"%.63s\" is no zone: write UTC or a place of the tz database, "
			    "such as zone = \"Europe/Berlin\"",
			    stage->zone);
}

/* All values of KEY may be read: there are not too many. */
static bool
few(struct conf_parse *parse, struct conf_source *source, const struct conf_key *key)
{
	if (key->nvalues <= WINDOW_MAX)
		return true;
	conf_report(parse, source, key->line, "%s has %zu values: write at most %d",
		    key->rule->name, key->nvalues, WINDOW_MAX);
	return false;
}

static void
read_windows(struct conf_parse *parse, struct conf_source *source, const struct conf_key *key,
	     struct windows *windows)
{
	if (key->nvalues == 0)
		conf_report(parse, source, key->line,
			    "windows is empty: write windows = %s, or take it away",
			    key->rule->example);
	if (!few(parse, source, key))
		return;
	for (size_t i = 0; i < key->nvalues; i++) {
		_cleanup_err_ struct err err = ERR_INIT;

		if (window_parse(key->values[i].text, &windows->windows[windows->nwindows], &err) ==
		    0)
			windows->nwindows++;
		else
			conf_report(parse, source, key->values[i].line, "windows: %s", err.text);
	}
}

static void
read_freezes(struct conf_parse *parse, struct conf_source *source, const struct conf_key *key,
	     struct windows *windows)
{
	if (!few(parse, source, key))
		return;
	for (size_t i = 0; i < key->nvalues; i++) {
		struct freeze *freeze = &windows->freezes[windows->nfreezes];
		_cleanup_err_ struct err err = ERR_INIT;
		bool twice = false;

		if (freeze_parse(key->values[i].text, freeze, &err) < 0) {
			conf_report(parse, source, key->values[i].line, "freezes: %s", err.text);
			continue;
		}
		for (size_t j = 0; j < windows->nfreezes; j++)
			twice = twice || strcmp(windows->freezes[j].name, freeze->name) == 0;
		if (twice)
			conf_report(parse, source, key->values[i].line,
				    "freezes: two are called \"%s\": give each a name of its own",
				    freeze->name);
		else
			windows->nfreezes++;
	}
}

void
conf_read_windows(struct conf_parse *parse, struct conf_source *source,
		  const struct conf_node *node, struct conf_stage *stage)
{
	const struct conf_key *windows = conf_node_key(node, "windows");
	const struct conf_key *freezes = conf_node_key(node, "freezes");
	static const char *const others[] = {"zone", "windows-hold"};

	if (!stage->windows_hold)
		stage->windows_hold = CONF_DEPLOY | CONF_REDEPLOY;
	for (size_t i = 0; !windows && !freezes && i < ARRAY_SIZE(others); i++)
		if (conf_node_key(node, others[i]))
			conf_report(parse, source, conf_node_line(node, others[i]),
				    "%s goes with windows or freezes, which stage \"%s\" has not: "
				    "write one of them, or take it away",
				    others[i], stage->name);
	if (!windows && !freezes)
		return;
	stage->windows =
	    windows_new(windows ? windows->nvalues : 0, freezes ? freezes->nvalues : 0);
	read_zone(parse, source, node, stage, stage->windows);
	if (windows && !windows->spoiled)
		read_windows(parse, source, windows, stage->windows);
	if (freezes && !freezes->spoiled)
		read_freezes(parse, source, freezes, stage->windows);
}
