-- learn: a flow for the galaxies of a survey, made and trained in one go with few epochs: what the quickstart and the acceptance runs share. train_photometry and train_image spell the same out.
local gal = require "gal"

--- learn(part, {out =, epochs =, lr =, seed = 0, encoder = nil, …}): the flow of a run in the folder `out`, p(theta | context) of a part of gal.data's surveys, or p(theta | context, image)
-- with an encoder for its images (part:blind() is without). The rate falls to 0 over all epochs, and none is the last before its time; a run that was stopped goes on. All else: options of train.fit.
-- Returns what train.fit returns.
return function(part, options)
  local o = {}
  for key, value in pairs(options) do o[key] = value end
  o.flow = require("gal.flow").new{
    theta = part.names.theta, context = part.names.context, image = part.images and part.images.image, encoder = options.encoder, rng = gal.rng(options.seed or 0),
  }
  o.flow.notes = part.path and part:choices()
  o.encoder, o.data, o.schedule, o.resume, o.patience = nil, part, "cosine", true, options.epochs
  return require("gal.train").fit(o)
end
