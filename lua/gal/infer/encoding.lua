-- infer/encoding: what an encoder makes of images, in a few numbers: its principal components.
local gal = require "gal"
local galaxies = require "gal.infer.galaxies"
local host = require "gal.stats.host"
local inputs = require "gal.flow.inputs"
local linalg = require "gal.stats.linalg"
local tiles = require "gal.flow.tiles"

local encoding = {}

-- The encoded images of a part's galaxies, {N, E}, on the host.
local function encoded(flow, part)
  local x = inputs.conditions("components", flow, galaxies.shown(flow, part))
  local features = gal.no_grad(function() return tiles.features(flow, x, 1, #part.ids) end)
  return features:narrow(2, 1, features:size(2) - flow.c):to "cpu"
end

--- encoding.components(flow, known, part, k): the first k principal components of a part's encoded images,
-- {N, k}, fewer where the encoding is narrower or the known galaxies are few: directions and mean are those
-- of `known`, a survey with images. Second: the components of the known galaxies, {M, k}.
function encoding.components(flow, known, part, k)
  local base = encoded(flow, known)
  local mean, covariance = linalg.covariance(host.rows(base))
  local _, vectors = linalg.leading(covariance, math.min(k, #mean, base:size(1) - 1))
  local directions = gal.tensor(linalg.transpose(vectors), { device = "cpu" })
  local middle = gal.tensor(mean, { device = "cpu" })
  return (encoded(flow, part) - middle):matmul(directions), (base - middle):matmul(directions)
end

return encoding
