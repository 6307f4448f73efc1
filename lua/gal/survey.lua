-- survey: the earlier name of gal.mock, for scripts that ask for it.
return require "gal.mock"
