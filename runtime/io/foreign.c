/* foreign.c: tables in formats that are not read, told by what their files begin with or by their names: each
 * is refused with the one line that converts it. */
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
    {"PK\3\4", 4, {".xlsx", ".ods", ".xlsm"}, "a spreadsheet", PANDAS("read_excel(\"%s\", dtype=str)")},
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
    if (!found)
        return GAL_OK;
    if (!found->line)
        return gal_fail(GAL_FILE, "%s: is %s, expected a table", path, found->called);
    char line[512];
    const char *name = strpbrk(path, "'\"\\$`%") || strlen(path) > 200 ? "FILE" : path;
    snprintf(line, sizeof line, found->line, name);
    return gal_fail(GAL_FILE, "%s: is %s, which is not read; this makes a table of it: %s", path,
                    found->called, line);
}
