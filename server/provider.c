/*
 * provider.c - what modules offer each other by name.
 *
 * Filled while modules are loaded, in one thread; read-only afterwards.
 */
#include "wr_module.h"

#include <string.h>
#include <strings.h>

typedef struct provider {
    struct provider *next;
    const char *group, *name;
    const void *what;
} provider;

/* The process's; the first one offered stands first. */
static provider *providers;

static apr_status_t remove_provider(void *data)
{
    for (provider **at = &providers; *at; at = &(*at)->next) {
        if (*at == data) {
            *at = (*at)->next;
            break;
        }
    }
    return APR_SUCCESS;
}

void wr_provider_add(apr_pool_t *pool, const char *group, const char *name,
                     const void *what)
{
    provider *p = apr_palloc(pool, sizeof(*p));
    provider **at = &providers;

    p->next = NULL;
    p->group = group;
    p->name = name;
    p->what = what;
    while (*at) {
        at = &(*at)->next;
    }
    *at = p;
    apr_pool_cleanup_register(pool, p, remove_provider, apr_pool_cleanup_null);
}

const void *wr_provider_find(const char *group, const char *name)
{
    for (const provider *p = providers; p; p = p->next) {
        if (strcmp(p->group, group) == 0 && strcasecmp(p->name, name) == 0) {
            return p->what;
        }
    }
    return NULL;
}
