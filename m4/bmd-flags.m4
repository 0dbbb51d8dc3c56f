# BMD_FLAGS: sets BMD_CFLAGS and BMD_LDFLAGS. Every flag is probed by itself, so that an older or
# newer compiler loses one flag and not the build.
AC_DEFUN([BMD_FLAGS], [
	AC_LANG_ASSERT([C])
	BMD_CFLAGS= BMD_LDFLAGS=
	bmd_saved_cflags=$CFLAGS
	bmd_saved_ldflags=$LDFLAGS
	bmd_try_cflags='-std=gnu17 -Wall -Wextra -Wformat=2 -Wformat-signedness -Wformat-overflow=2
		-Wformat-truncation=2 -Wconversion -Wsign-conversion -Wimplicit-fallthrough
		-Werror=format-security -Werror=implicit -Werror=incompatible-pointer-types
		-Werror=int-conversion -Wtrampolines -Wbidi-chars=any -Wuse-after-free=3
		-Wdangling-pointer=2 -Warray-bounds=2 -Wstringop-overflow=4 -Wnull-dereference
		-Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wcast-align=strict -Wcast-qual
		-Wvla -Walloca -Walloc-zero -Wshadow -Wundef -Wstrict-prototypes
		-Wmissing-prototypes -Wwrite-strings -Wjump-misses-init
		-fstack-clash-protection -fstack-protector-strong -fcf-protection=full
		-fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing
		-ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr
		-fstrict-flex-arrays=3 -fPIE'
	# glibc's fortified functions hide errors from ASan, hence not in that build.
	AS_IF([test "$enable_sanitize" != no || test "$enable_fuzzers" != no],
		[bmd_try_cflags="$bmd_try_cflags -fsanitize=address -fsanitize=undefined
			-fno-sanitize-recover=undefined -fno-omit-frame-pointer"],
		[BMD_CFLAGS='-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3'])
	AS_IF([test "$enable_fuzzers" != no],
		[bmd_try_cflags="$bmd_try_cflags -fsanitize=fuzzer-no-link"])
	for bmd_flag in $bmd_try_cflags; do
		AC_MSG_CHECKING([whether $CC takes $bmd_flag])
		CFLAGS="$bmd_saved_cflags -O2 $BMD_CFLAGS -Werror $bmd_flag"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([[]], [[]])],
			[AC_MSG_RESULT([yes]); BMD_CFLAGS="$BMD_CFLAGS $bmd_flag"],
			[AC_MSG_RESULT([no])])
	done
	CFLAGS="$bmd_saved_cflags $BMD_CFLAGS"
	bmd_try_ldflags='-pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,nodlopen
		-Wl,--as-needed -Wl,--no-copy-dt-needed-entries'
	for bmd_flag in $bmd_try_ldflags; do
		AC_MSG_CHECKING([whether the linker takes $bmd_flag])
		LDFLAGS="$bmd_saved_ldflags $BMD_LDFLAGS $bmd_flag"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([[]], [[]])],
			[AC_MSG_RESULT([yes]); BMD_LDFLAGS="$BMD_LDFLAGS $bmd_flag"],
			[AC_MSG_RESULT([no])])
	done
	CFLAGS=$bmd_saved_cflags
	LDFLAGS=$bmd_saved_ldflags
	AS_IF([test "$enable_werror" != no], [BMD_CFLAGS="$BMD_CFLAGS -Werror"])
	AC_SUBST([BMD_CFLAGS])
	AC_SUBST([BMD_LDFLAGS])
])
