/* foreign.c: tables in formats that are not read, told by what their files begin with or by their names: each
 * is refused with the one line that converts it. */
#define _GNU_SOURCE /* memmem */
#include "io.h"
#include <stdio.h>
#include <string.h>

/* A format: what its files begin with (`marked` bytes; 0: the name alone tells), what their names end in, how
 * the format is called, and the line that converts. A %s in the line stands for the path. */
typedef struct foreign {
    const char *mark;
    int marked;
    const char *endings[4];
    const char *called, *line;
} foreign;

#define PYTHON(code) "python3 -c '" code "'"
#define ASTROPY(read) PYTHON("from astropy.table import Table; Table." read ".write(\"table.fits\")")
#define PANDAS(read) PYTHON("import pandas; pandas." read ".to_csv(\"table.csv\", index=False)")

static const foreign formats[] = {
    {"<?xml", 5, {".vot", ".votable", ".xml"}, "a VOTable", ASTROPY("read(\"%s\", format=\"votable\")")},
    {"<VOTABLE", 8, {NULL}, "a VOTable", ASTROPY("read(\"%s\", format=\"votable\")")},
    {"\x89HDF", 4, {".h5", ".hdf5", ".hdf", ".he5"}, "an HDF5 file", ASTROPY("read(\"%s\")")},
    {"PAR1", 4, {".parquet", ".pq"}, "a Parquet file", PANDAS("read_parquet(\"%s\")")},
    {"ARROW1", 6, {".feather", ".arrow"}, "a Feather file", PANDAS("read_feather(\"%s\")")},
    {"\x93NUMPY",
     6,
     {".npy"},
     "a NumPy array",
     PYTHON("import numpy; from astropy.table import Table; "
            "Table(numpy.load(\"%s\")).write(\"table.fits\")")},
    {"PK\3\4",
     0,
     {".npz"},
     "a NumPy archive",
     PYTHON("import numpy; from astropy.table import Table; "
            "Table(dict(numpy.load(\"%s\"))).write(\"table.fits\")")},
    {"BZh", 3, {".bz2"}, "compressed by bzip2", "bunzip2 -k \"%s\""},
    {"\xfd"
     "7zXZ",
     5,
     {".xz"},
     "compressed by xz",
     "unxz -k \"%s\""},
    {"\x28\xb5\x2f\xfd", 4, {".zst"}, "compressed by zstd", "unzstd -k \"%s\""},
    {"\x1f\x9d", 2, {".z"}, "compressed by compress", "zcat \"%s\" >table.csv"},
    {NULL, 0, {".tex"}, "LaTeX", ASTROPY("read(\"%s\", format=\"ascii.latex\")")},
    {NULL,
     0,
     {".mrt"},
     "a machine-readable table of the AAS or CDS",
     ASTROPY("read(\"%s\", format=\"ascii.mrt\")")},
    {NULL, 0, {".tar", ".tgz"}, "an archive of files", "tar xf \"%s\""},
    {"PK\3\4", 4, {".xlsx", ".ods", ".xlsm"}, "a spreadsheet", PANDAS("read_excel(\"%s\", dtype=str)")},
    {"PK\3\4", 4, {".zip"}, "a zip archive", "unzip \"%s\""},
    {"\xd0\xcf\x11\xe0", 4, {".xls"}, "a spreadsheet", PANDAS("read_excel(\"%s\", dtype=str)")},
    {"RDX",
     3,
     {".rdata", ".rda"},
     "R's data",
     "Rscript -e 'write.csv(get(load(\"%s\")), \"table.csv\", row.names = FALSE)'"},
    {NULL,
     0,
     {".rds"},
     "R's data",
     "Rscript -e 'write.csv(readRDS(\"%s\"), \"table.csv\", row.names = FALSE)'"},
    {"SR\0\4",
     4,
     {".sav"},
     "IDL's variables",
     PYTHON("from scipy.io import readsav; from astropy.table import Table; "
            "Table(readsav(\"%s\")[\"NAME\"]).write(\"table.fits\")")},
    {"SQLite format 3",
     15,
     {".sqlite", ".db"},
     "an SQLite database",
     "sqlite3 -header -csv \"%s\" \"select * from NAME\" >table.csv"},
    {"#ASDF", 5, {".asdf"}, "an ASDF file", ASTROPY("read(\"%s\")")},
    {NULL, 0, {".pkl", ".pickle"}, "a pickle", PANDAS("read_pickle(\"%s\")")},
    {NULL, 0, {".json"}, "JSON", PANDAS("read_json(\"%s\")")},
    {NULL, 0, {".dta"}, "Stata's data", PANDAS("read_stata(\"%s\")")},
    {"<!DOC", 5, {".html", ".htm"}, "a web page", NULL},
    {"<html", 5, {NULL}, "a web page", NULL},
    {"\xff\xd8\xff", 3, {NULL}, "a picture", NULL},
    {"\x89PNG", 4, {NULL}, "a picture", NULL},
};

static int is_named(const foreign *f, const char *path)
{
    for (int k = 0; k < 4 && f->endings[k]; k++) {
        char with_gz[32];
        snprintf(with_gz, sizeof with_gz, "%s.gz", f->endings[k]);
        if (gal_name_ends(path, f->endings[k]) || gal_name_ends(path, with_gz))
            return 1;
    }
    return 0;
}

/* The refusal of the file at path, a format that is called so; a %s in the line that converts it stands for
 * the path. */
static gal_status refuse(const char *path, const char *called, const char *form)
{
    char line[512];
    const char *name = strpbrk(path, "'\"\\$`%") || strlen(path) > 200 ? "FILE" : path;
    if (!form)
        return gal_fail(GAL_FILE, "%s: is %s, expected a table", path, called);
    snprintf(line, sizeof line, form, name);
    return gal_fail(GAL_FILE, "%s: is %s, which is not read; this makes a table of it: %s", path, called,
                    line);
}

gal_status gal_foreign_refuse(const char *path, const char *bytes, int64_t n)
{
    const foreign *found = NULL;
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        const foreign *f = &formats[k];
        int marked = f->marked && n >= f->marked && memcmp(bytes, f->mark, (size_t)f->marked) == 0;
        if (is_named(f, path) && (!found || marked))
            found = f;
        else if (marked && !found)
            found = f;
    }
    return found ? refuse(path, found->called, found->line) : GAL_OK;
}

/* ---- tables in text ---- */

static int begins(const char *at, const char *end, const char *with)
{
    return end - at >= (int64_t)strlen(with) && memcmp(at, with, strlen(with)) == 0;
}

static const char *next_line(const char *at, const char *end)
{
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    return stop ? stop + 1 : end;
}

/* Whether the line at `at` is SExtractor's on a column: "#   1 NUMBER   Running object number". */
static int is_sextractor(const char *at, const char *end, int number)
{
    char line[64] = "", name[32];
    int found = 0;
    size_t n = (size_t)(end - at) < sizeof line - 1 ? (size_t)(end - at) : sizeof line - 1;
    memcpy(line, at, n);
    return sscanf(line, "# %d %31[A-Z]", &found, name) == 2 && found == number;
}

/* Whether the lines of a table that begins with | at `at` all do, as in a box; an IPAC table's rows don't. */
static int is_boxed(const char *at, const char *end)
{
    for (; at < end; at = next_line(at, end))
        if (!strchr("|+-\r\n", *at))
            return 0;
    return 1;
}

gal_status gal_foreign_text(const char *path, const char *beginning, const char *first, const char *end)
{
    int64_t looked = end - beginning < 65536 ? end - beginning : 65536;
    if (is_sextractor(beginning, end, 1))
        return refuse(path, "SExtractor's", ASTROPY("read(\"%s\", format=\"ascii.sextractor\")"));
    if (memmem(beginning, (size_t)looked, "Byte-by-byte Description of file", 32))
        return refuse(path, "a machine-readable table of the AAS or CDS",
                      ASTROPY("read(\"%s\", format=\"ascii.mrt\")"));
    if (begins(first, end, "\\begin{") || begins(first, end, "\\documentclass"))
        return refuse(path, "LaTeX", ASTROPY("read(\"%s\", format=\"ascii.latex\")"));
    if (begins(first, end, "===") || begins(first, end, "+==="))
        return refuse(path, "restructured text", ASTROPY("read(\"%s\", format=\"ascii.rst\")"));
    if (begins(first, end, "+-") || (begins(first, end, "|") && is_boxed(first, end)))
        return refuse(path, "a table in a box",
                      "sed \"/^+/d; /^|[-|]*$/d; s/^|//; s/|[ ]*$//\" \"%s\" >table.txt");
    if (begins(first, end, "|") || begins(first, end, "\\"))
        return refuse(path, "an IPAC table", ASTROPY("read(\"%s\", format=\"ascii.ipac\")"));
    return GAL_OK;
}
