# FILE, LINE, CHECK, MESSAGE → TOOL, FILE, FUNCTION, CHECK, MESSAGE. The function is the one whose lines hold the finding ("-": none), so that
# it stays the same when lines move. Headers of the system are nobody's here.
function function_at(path, line,   text, n, name) {
    name = "-"
    while (n < line && (getline text <path) > 0) {
        n++
        if (text ~ /^(START_TEST\()?[A-Za-z_][A-Za-z0-9_]*\(/) {
            name = text
            sub(/^START_TEST\(/, "", name)
            sub(/[^A-Za-z0-9_].*/, "", name)
        } else if (text ~ /^}/ && n < line)
            name = "-"
    }
    close(path)
    return name
}
$1 !~ /^\// { print tool "\t" $1 "\t" function_at(top "/" $1, $2) "\t" $3 "\t" $4 }
