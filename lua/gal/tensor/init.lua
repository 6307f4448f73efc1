-- tensor: the room of tensors as the rest of the library sees it, with every method in place.
local core = require "gal.tensor.values"
require "gal.tensor.tape"
require "gal.tensor.map"
require "gal.tensor.reduce"
require "gal.tensor.views"

return core
