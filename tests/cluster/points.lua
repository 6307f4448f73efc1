-- points.lua SOURCE OUT EPOCHS: four trainings as a Slurm job array, each into OUT/k.
local source, out, epochs = ...
local elements = {}
for k, lr in ipairs{ 3e-4, 1e-3, 3e-3, 1e-2 } do
  elements[k] = { "--survey", "survey", "--hidden", "16", "--lr", lr, "--epochs", epochs }
  for _, word in ipairs{ "--out", out .. "/" .. k, "--resume" } do table.insert(elements[k], word) end
end
print(require("gal.cli.slurm").write{
  out = out, name = "sweep", experiment = source .. "/experiments/train_photometry.lua", elements = elements,
  options = { cpus = 1, gpus = 0 },
}.command)
