-- survey: the earlier name of gal.mock, for scripts that ask for it; mock was then what galaxies is now.
local mock = require "gal.mock"

return setmetatable({ mock = mock.galaxies }, { __index = mock })
