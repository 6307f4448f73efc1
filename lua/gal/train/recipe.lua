-- learn: a flow for the galaxies of a survey, made and trained in one go: what the quickstart and the
-- acceptance runs share. train_photometry and train_image spell it out for copying.
local gal = require "gal"

--- learn(part, {epochs =, lr =, out = nil, seed = 0, encoder = nil, …}): trains a new flow on a part of
-- gal.data's surveys and returns what train.fit returns: p(theta | context) of a part without images
-- (part:blind()), p(theta | context, image) of one with them, which takes an encoder; with augment the flow
-- is symmetric. The rate falls to 0 over all the epochs, none of which is left out for lack of progress; a
-- run that was stopped goes on in `out`. seed: of the weights too. All else: options of train.fit.
return function(part, options)
  local o = {}
  for key, value in pairs(options) do o[key] = value end
  o.flow = require("gal.flow").new{
    theta = part.names.theta, context = part.names.context, image = part.images and part.images.image, encoder = options.encoder,
    symmetric = options.augment, rng = gal.rng(options.seed or 0),
  }
  o.flow.notes = part.path and part:choices()
  o.encoder, o.data, o.schedule, o.resume, o.patience = nil, part, "cosine", true, options.epochs
  return require("gal.train").fit(o)
end
