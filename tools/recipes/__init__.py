"""What the packs of the program are made of, a file each."""

from tools.recipes import bundled, smollm2
from tools.recipes.recipe import Recipe

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (bundled.RECIPE, smollm2.RECIPE)}
