# What every folder compiles with.
AM_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I$(top_srcdir) -I$(top_builddir) -DLIBEXECDIR='"$(libexecdir)/bmd"' \
	-DSYSCONFDIR='"$(sysconfdir)/bmd"'
AM_CFLAGS = $(BMD_CFLAGS)
AM_LDFLAGS = $(BMD_LDFLAGS)
